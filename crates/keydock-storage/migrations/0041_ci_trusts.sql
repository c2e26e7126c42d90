-- Whose tokens an organization trusts, so that pipelines need no stored keys.

CREATE TABLE ci_trusts (
    id               TEXT    NOT NULL PRIMARY KEY,
    org_id           BIGINT  NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name             TEXT    NOT NULL,
    issuer           TEXT    NOT NULL,
    audience         TEXT    NOT NULL,
    -- What has to be true of a token: a JSON list of claims and values.
    conditions       TEXT    NOT NULL,
    -- How much is granted, for how long, and whose the things are that are created with it.
    permission       TEXT    NOT NULL,
    lifetime_seconds BIGINT  NOT NULL CHECK (lifetime_seconds BETWEEN 60 AND 3600),
    service_user     BIGINT  NOT NULL REFERENCES users (id),
    is_enabled       BOOLEAN NOT NULL,
    created_by       BIGINT REFERENCES users (id) ON DELETE SET NULL,
    created_at       BIGINT  NOT NULL,
    modified_at      BIGINT  NOT NULL,
    CONSTRAINT ci_trusts_name UNIQUE (org_id, name)
);

-- What was granted: each ends by itself within the hour.
CREATE TABLE platform_tokens (
    id           TEXT   NOT NULL PRIMARY KEY,
    org_id       BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    trust_id     TEXT   NOT NULL REFERENCES ci_trusts (id) ON DELETE CASCADE,
    digest       TEXT   NOT NULL UNIQUE,
    last_four    TEXT   NOT NULL,
    fingerprint  TEXT   NOT NULL,
    permission   TEXT   NOT NULL,
    -- For whom, as far as the issuer said.
    claims       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    revoked_at   BIGINT,
    last_used_at BIGINT,
    last_used_ip TEXT,
    use_count    BIGINT NOT NULL
);

CREATE INDEX platform_tokens_of_org ON platform_tokens (org_id, id);
CREATE INDEX platform_tokens_of_trust ON platform_tokens (trust_id);
CREATE INDEX platform_tokens_by_expiry ON platform_tokens (expires_at);

-- Tokens of others that were exchanged, until they end: each counts once.
CREATE TABLE exchanged_tokens (
    digest     TEXT   NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX exchanged_tokens_by_expiry ON exchanged_tokens (expires_at);
