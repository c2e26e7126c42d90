-- A workflow published as an HTTP API, and the keys that open it.
--
-- A workflow with deployments and a deployment with keys cannot be deleted: whoever deletes one has to
-- take care of every key first, so that none goes on working unseen.

CREATE TABLE deployments (
    id            TEXT    NOT NULL PRIMARY KEY,
    org_id        BIGINT  NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    workflow_id   TEXT    NOT NULL REFERENCES workflows (id),
    display_name  TEXT    NOT NULL,
    description   TEXT    NOT NULL,
    api_name      TEXT    NOT NULL,
    is_active     BOOLEAN NOT NULL,
    shared_to_org BOOLEAN NOT NULL,
    created_by    BIGINT REFERENCES users (id) ON DELETE SET NULL,
    modified_by   BIGINT REFERENCES users (id) ON DELETE SET NULL,
    created_at    BIGINT  NOT NULL,
    modified_at   BIGINT  NOT NULL,
    CONSTRAINT deployments_api_name UNIQUE (org_id, api_name)
);

CREATE INDEX deployments_of_workflow ON deployments (workflow_id);
CREATE UNIQUE INDEX deployments_workflow_id_active ON deployments (workflow_id) WHERE is_active;

CREATE TABLE deployment_owners (
    deployment_id TEXT   NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    org_id        BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id       BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (deployment_id, user_id)
);

CREATE TABLE deployment_keys (
    id              TEXT    NOT NULL PRIMARY KEY,
    org_id          BIGINT  NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    deployment_id   TEXT    NOT NULL REFERENCES deployments (id),
    description     TEXT    NOT NULL,
    digest          TEXT    NOT NULL UNIQUE,
    last_four       TEXT    NOT NULL,
    fingerprint     TEXT    NOT NULL,
    is_active       BOOLEAN NOT NULL,
    -- The secret before the last rotation, and until when it still works.
    previous_digest TEXT UNIQUE,
    previous_until  BIGINT,
    -- How many secrets this key has had.
    version         BIGINT  NOT NULL,
    created_by      BIGINT REFERENCES users (id) ON DELETE SET NULL,
    created_at      BIGINT  NOT NULL,
    modified_at     BIGINT  NOT NULL,
    last_used_at    BIGINT,
    last_used_ip    TEXT,
    use_count       BIGINT  NOT NULL
);

CREATE INDEX deployment_keys_of_deployment ON deployment_keys (deployment_id, created_at);
