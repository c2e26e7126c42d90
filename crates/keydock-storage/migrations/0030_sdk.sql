-- What tools of the SDK keep and report. Nothing here refers to rows of other features: the ids are
-- those that a tool was given, whoever made them.

CREATE TABLE sdk_cache (
    org_id     BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    key        TEXT   NOT NULL,
    value      TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, key)
);

CREATE INDEX sdk_cache_by_end ON sdk_cache (expires_at);

-- Tokens that models took, and what that cost, in billionths of a dollar.
CREATE TABLE sdk_usage (
    id                TEXT   NOT NULL PRIMARY KEY,
    org_id            BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    key_id            TEXT   NOT NULL,
    at                BIGINT NOT NULL,
    workflow_id       TEXT   NOT NULL,
    execution_id      TEXT   NOT NULL,
    adapter_id        TEXT   NOT NULL,
    run_id            TEXT   NOT NULL,
    usage_type        TEXT   NOT NULL,
    reason            TEXT   NOT NULL,
    model_name        TEXT   NOT NULL,
    provider          TEXT   NOT NULL,
    embedding_tokens  BIGINT NOT NULL CHECK (embedding_tokens >= 0),
    prompt_tokens     BIGINT NOT NULL CHECK (prompt_tokens >= 0),
    completion_tokens BIGINT NOT NULL CHECK (completion_tokens >= 0),
    total_tokens      BIGINT NOT NULL CHECK (total_tokens >= 0),
    nanodollars       BIGINT NOT NULL CHECK (nanodollars >= 0)
);

CREATE INDEX sdk_usage_of_org ON sdk_usage (org_id, at);
CREATE INDEX sdk_usage_by_time ON sdk_usage (at);

-- Pages that documents had.
CREATE TABLE sdk_page_usage (
    id         TEXT   NOT NULL PRIMARY KEY,
    org_id     BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    key_id     TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    run_id     TEXT   NOT NULL,
    file_name  TEXT   NOT NULL,
    file_type  TEXT   NOT NULL,
    file_size  BIGINT NOT NULL CHECK (file_size >= 0),
    page_count BIGINT NOT NULL CHECK (page_count >= 0)
);

CREATE INDEX sdk_page_usage_of_org ON sdk_page_usage (org_id, at);
CREATE INDEX sdk_page_usage_by_time ON sdk_page_usage (at);
