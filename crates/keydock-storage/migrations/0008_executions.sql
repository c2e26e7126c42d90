-- One run of a deployment: what was sent, what became of it, and whether the answer was read.

CREATE TABLE executions (
    id               TEXT    NOT NULL PRIMARY KEY,
    org_id           BIGINT  NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    -- Runs outlive the deployment, the workflow and the key that they belong to.
    deployment_id    TEXT    NOT NULL,
    workflow_id      TEXT    NOT NULL,
    workflow_version BIGINT  NOT NULL,
    key_id           TEXT    NOT NULL,
    status           TEXT    NOT NULL
        CHECK (status IN ('PENDING', 'EXECUTING', 'COMPLETED', 'STOPPED', 'ERROR')),
    error            TEXT,
    tag              TEXT,
    custom_data      TEXT,
    use_file_history BOOLEAN NOT NULL,
    created_at       BIGINT  NOT NULL,
    started_at       BIGINT,
    finished_at      BIGINT,
    -- When its result was first read; a result is given out once.
    acknowledged_at  BIGINT,
    -- When its result was deleted for its age.
    forgotten_at     BIGINT,
    CHECK ((finished_at IS NOT NULL) = (status IN ('COMPLETED', 'STOPPED', 'ERROR'))),
    CHECK (acknowledged_at IS NULL OR finished_at IS NOT NULL),
    CHECK (forgotten_at IS NULL OR finished_at IS NOT NULL)
);

CREATE INDEX executions_of_deployment ON executions (org_id, deployment_id, created_at);
CREATE INDEX executions_running ON executions (org_id) WHERE finished_at IS NULL;
CREATE INDEX executions_finished ON executions (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX executions_remembered ON executions (finished_at)
    WHERE finished_at IS NOT NULL AND forgotten_at IS NULL;

CREATE TABLE file_executions (
    id            TEXT   NOT NULL PRIMARY KEY,
    org_id        BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    execution_id  TEXT   NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    -- The place of the file in the request: files are told apart by it, never by their name.
    position      BIGINT NOT NULL,
    name          TEXT   NOT NULL,
    declared_type TEXT   NOT NULL,
    size          BIGINT NOT NULL,
    sha256        TEXT   NOT NULL,
    -- An earlier file of the same run with the same content, which holds the result.
    duplicate_of  TEXT,
    status        TEXT   NOT NULL
        CHECK (status IN ('PENDING', 'COMPLETED', 'ERROR')),
    error         TEXT,
    -- What the engine found: values, evidence, text. JSON.
    result        TEXT,
    started_at    BIGINT,
    finished_at   BIGINT,
    UNIQUE (execution_id, position),
    CHECK ((finished_at IS NOT NULL) = (status IN ('COMPLETED', 'ERROR')))
);

CREATE INDEX file_executions_by_content ON file_executions (org_id, sha256);
