-- Requests that were refused, so that admins can be told why. Kept for a week.

CREATE TABLE refusals (
    id         TEXT   NOT NULL PRIMARY KEY,
    org_id     BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    request_id TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    status     BIGINT NOT NULL,
    code       TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    method     TEXT   NOT NULL,
    path       TEXT   NOT NULL,
    -- The key, if it was genuine; its kind and its name as of then.
    key_id     TEXT   NOT NULL,
    key_kind   TEXT   NOT NULL,
    key_name   TEXT   NOT NULL,
    ip         TEXT   NOT NULL,
    agent      TEXT   NOT NULL
);

CREATE INDEX refusals_by_request ON refusals (org_id, request_id);
CREATE INDEX refusals_by_time ON refusals (at);
