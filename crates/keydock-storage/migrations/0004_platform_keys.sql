-- The two platform keys of an organization. The schema itself holds the rules: two slots, and at
-- most one active key.

CREATE TABLE platform_keys (
    id              TEXT    NOT NULL PRIMARY KEY,
    org_id          BIGINT  NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    slot            BIGINT  NOT NULL CHECK (slot IN (1, 2)),
    name            TEXT    NOT NULL,
    digest          TEXT    NOT NULL UNIQUE,
    last_four       TEXT    NOT NULL,
    fingerprint     TEXT    NOT NULL,
    is_active       BOOLEAN NOT NULL,
    -- The secret before the last refresh, and until when it still works.
    previous_digest TEXT UNIQUE,
    previous_until  BIGINT,
    -- How many secrets this key has had.
    version         BIGINT  NOT NULL,
    created_by      BIGINT REFERENCES users (id) ON DELETE SET NULL,
    created_at      BIGINT  NOT NULL,
    modified_at     BIGINT  NOT NULL,
    last_used_at    BIGINT,
    last_used_ip    TEXT,
    use_count       BIGINT  NOT NULL,
    CONSTRAINT platform_keys_slot UNIQUE (org_id, slot),
    CONSTRAINT platform_keys_name UNIQUE (org_id, name)
);

CREATE UNIQUE INDEX platform_keys_one_active ON platform_keys (org_id) WHERE is_active;

-- Every change to a secret of any kind, in the order of the commits. A node that has read up to a
-- number knows every key as of that number.
CREATE TABLE key_changes (
    seq    BIGINT NOT NULL PRIMARY KEY,
    digest TEXT   NOT NULL,
    at     BIGINT NOT NULL
);

CREATE INDEX key_changes_by_time ON key_changes (at);
