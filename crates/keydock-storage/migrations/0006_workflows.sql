-- What to extract: a workflow and the versions of its definition, each frozen once written.

CREATE TABLE workflows (
    id                       TEXT    NOT NULL PRIMARY KEY,
    org_id                   BIGINT  NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name                     TEXT    NOT NULL,
    description              TEXT    NOT NULL,
    deployment_type          TEXT    NOT NULL,
    max_file_execution_count BIGINT,
    is_active                BOOLEAN NOT NULL,
    shared_to_org            BOOLEAN NOT NULL,
    -- The number of its newest definition; 0 while it has none.
    version                  BIGINT  NOT NULL,
    -- What its two endpoints are called on the wire. There is nothing else to know about them.
    source_id                TEXT    NOT NULL UNIQUE,
    destination_id           TEXT    NOT NULL UNIQUE,
    created_by               BIGINT REFERENCES users (id) ON DELETE SET NULL,
    modified_by              BIGINT REFERENCES users (id) ON DELETE SET NULL,
    created_at               BIGINT  NOT NULL,
    modified_at              BIGINT  NOT NULL,
    CONSTRAINT workflows_name UNIQUE (org_id, name)
);

CREATE TABLE workflow_versions (
    workflow_id TEXT   NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    org_id      BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    version     BIGINT NOT NULL,
    definition  TEXT   NOT NULL,
    created_by  BIGINT REFERENCES users (id) ON DELETE SET NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (workflow_id, version)
);

CREATE TABLE workflow_owners (
    workflow_id TEXT   NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    org_id      BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id     BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (workflow_id, user_id)
);
