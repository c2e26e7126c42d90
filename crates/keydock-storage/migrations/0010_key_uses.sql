-- Who uses which secret of a key, and how often in which hour: what one looks at before an old secret
-- ends.

ALTER TABLE keys ADD COLUMN last_used_deployment TEXT;

CREATE TABLE key_callers (
    key_id        TEXT   NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    org_id        BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    version       BIGINT NOT NULL,
    ip            TEXT   NOT NULL,
    agent         TEXT   NOT NULL,
    deployment    TEXT   NOT NULL,
    first_used_at BIGINT NOT NULL,
    last_used_at  BIGINT NOT NULL,
    uses          BIGINT NOT NULL,
    PRIMARY KEY (key_id, version, ip, agent, deployment)
);

CREATE INDEX key_callers_by_time ON key_callers (last_used_at);

CREATE TABLE key_hours (
    key_id TEXT   NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    org_id BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    -- The beginning of the hour.
    hour   BIGINT NOT NULL,
    uses   BIGINT NOT NULL,
    PRIMARY KEY (key_id, hour)
);

CREATE INDEX key_hours_by_time ON key_hours (hour);
