-- Keys of every kind in one table, since their secrets live and die in the same way. What is of one
-- kind only stands in columns that the others leave empty; the schema holds the rules of each kind.

CREATE TABLE keys (
    id                   TEXT    NOT NULL PRIMARY KEY,
    org_id               BIGINT  NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    kind                 TEXT    NOT NULL,
    name                 TEXT,
    description          TEXT    NOT NULL,
    -- Platform keys: one of two places.
    slot                 BIGINT,
    -- Platform API keys: how much they open, and whose the things are that they create.
    permission           TEXT,
    service_user         BIGINT REFERENCES users (id),
    -- Deployment keys.
    deployment_id        TEXT REFERENCES deployments (id),
    -- Organization deployment keys: every deployment, or those in key_scopes.
    opens_all            BOOLEAN NOT NULL,
    is_active            BOOLEAN NOT NULL,
    expires_at           BIGINT,
    -- Who may use it from where and how often: a JSON object.
    limits               TEXT    NOT NULL,
    digest               TEXT    NOT NULL UNIQUE,
    last_four            TEXT    NOT NULL,
    fingerprint          TEXT    NOT NULL,
    -- Which of its secrets the key has now, and how many it has had.
    version              BIGINT  NOT NULL,
    secrets_made         BIGINT  NOT NULL,
    -- The secret before that, and until when it still works.
    previous_digest      TEXT UNIQUE,
    previous_last_four   TEXT,
    previous_fingerprint TEXT,
    previous_version     BIGINT,
    previous_until       BIGINT,
    -- For how long it works from the first use of the new one, while there was none.
    overlap_seconds      BIGINT,
    created_by           BIGINT REFERENCES users (id) ON DELETE SET NULL,
    created_at           BIGINT  NOT NULL,
    modified_at          BIGINT  NOT NULL,
    last_used_at         BIGINT,
    last_used_ip         TEXT,
    last_used_agent      TEXT,
    use_count            BIGINT  NOT NULL,
    CONSTRAINT keys_slot UNIQUE (org_id, slot),
    CONSTRAINT keys_name UNIQUE (org_id, kind, name),
    CONSTRAINT keys_kind CHECK (kind IN ('platform', 'platform_api', 'deployment', 'org_deployment')),
    CONSTRAINT keys_of_slots CHECK ((kind = 'platform') = (slot IS NOT NULL)),
    CONSTRAINT keys_slots CHECK (slot IS NULL OR slot IN (1, 2)),
    CONSTRAINT keys_of_tiers CHECK ((kind = 'platform_api') = (permission IS NOT NULL)),
    CONSTRAINT keys_of_deployments CHECK ((kind = 'deployment') = (deployment_id IS NOT NULL)),
    CONSTRAINT keys_named CHECK (kind = 'deployment' OR name IS NOT NULL)
);

CREATE UNIQUE INDEX keys_one_active ON keys (org_id) WHERE slot IS NOT NULL AND is_active;
CREATE INDEX keys_of_org ON keys (org_id, kind, created_at);
CREATE INDEX keys_of_deployment ON keys (deployment_id, created_at);

-- The deployments that an organization deployment key opens, if not all.
CREATE TABLE key_scopes (
    key_id        TEXT   NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    deployment_id TEXT   NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    org_id        BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    PRIMARY KEY (key_id, deployment_id)
);

CREATE INDEX key_scopes_of_deployment ON key_scopes (deployment_id);

INSERT INTO keys (id, org_id, kind, name, description, slot, opens_all, is_active, limits, digest,
                  last_four, fingerprint, version, secrets_made, previous_digest, previous_version,
                  previous_until, created_by, created_at, modified_at, last_used_at, last_used_ip,
                  use_count)
SELECT id, org_id, 'platform', name, '', slot, FALSE, is_active, '{}', digest,
       last_four, fingerprint, version, version, previous_digest, version - 1,
       previous_until, created_by, created_at, modified_at, last_used_at, last_used_ip, use_count
FROM platform_keys;

INSERT INTO keys (id, org_id, kind, description, deployment_id, opens_all, is_active, limits, digest,
                  last_four, fingerprint, version, secrets_made, previous_digest, previous_version,
                  previous_until, created_by, created_at, modified_at, last_used_at, last_used_ip,
                  use_count)
SELECT id, org_id, 'deployment', description, deployment_id, FALSE, is_active, '{}', digest,
       last_four, fingerprint, version, version, previous_digest, version - 1,
       previous_until, created_by, created_at, modified_at, last_used_at, last_used_ip, use_count
FROM deployment_keys;

DROP TABLE platform_keys;
DROP TABLE deployment_keys;

-- Accounts of programs: they own what a platform API key creates, and nobody signs in with them.
ALTER TABLE users ADD COLUMN is_service BOOLEAN NOT NULL DEFAULT FALSE;

-- What was taken of the quota of a key in its present period.
CREATE TABLE key_quotas (
    key_id      TEXT   NOT NULL PRIMARY KEY REFERENCES keys (id) ON DELETE CASCADE,
    org_id      BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    period_from BIGINT NOT NULL,
    taken       BIGINT NOT NULL
);
