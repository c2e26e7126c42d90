-- Tenants, people, and who belongs where.

CREATE TABLE users (
    id                   BIGINT  NOT NULL PRIMARY KEY,
    user_id              TEXT    NOT NULL UNIQUE,
    username             TEXT    NOT NULL UNIQUE,
    email                TEXT    NOT NULL UNIQUE,
    password_hash        TEXT    NOT NULL,
    must_change_password BOOLEAN NOT NULL,
    instance_admin       BOOLEAN NOT NULL,
    created_at           BIGINT  NOT NULL
);

CREATE TABLE organizations (
    id           BIGINT NOT NULL PRIMARY KEY,
    name         TEXT   NOT NULL UNIQUE,
    title        TEXT   NOT NULL,
    display_name TEXT   NOT NULL,
    -- Counts the changes of its platform keys; raising it is also the lock that orders them.
    key_changes  BIGINT NOT NULL,
    -- Counts the accepted executions; raising it is also the lock that orders them.
    executions   BIGINT NOT NULL,
    created_by   BIGINT REFERENCES users (id) ON DELETE SET NULL,
    created_at   BIGINT NOT NULL
);

CREATE TABLE members (
    org_id     BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role       TEXT   NOT NULL CHECK (role IN ('admin', 'user')),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, user_id)
);

CREATE INDEX members_of_user ON members (user_id);

CREATE TABLE sessions (
    -- A keyed digest of the cookie; the cookie itself is nowhere.
    digest     TEXT   NOT NULL PRIMARY KEY,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    org_id     BIGINT REFERENCES organizations (id) ON DELETE CASCADE,
    csrf       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- What the database must agree on with the files beside it, such as the pepper.
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
