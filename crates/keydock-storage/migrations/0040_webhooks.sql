-- Where organizations want to hear of what happens to their keys. No secret is stored: it follows
-- from the pepper, the id and the number of the secret.

CREATE TABLE webhooks (
    id              TEXT    NOT NULL PRIMARY KEY,
    org_id          BIGINT  NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    url             TEXT    NOT NULL,
    description     TEXT    NOT NULL,
    -- A JSON list of types and patterns of types.
    event_types     TEXT    NOT NULL,
    is_enabled      BOOLEAN NOT NULL,
    -- Why the server itself switched it off.
    disabled_reason TEXT,
    -- The number of its secret, and until when the one before is signed with too.
    version         BIGINT  NOT NULL,
    previous_until  BIGINT,
    -- Since when nothing has arrived.
    failing_since   BIGINT,
    created_by      BIGINT REFERENCES users (id) ON DELETE SET NULL,
    created_at      BIGINT  NOT NULL,
    modified_at     BIGINT  NOT NULL
);

CREATE INDEX webhooks_of_org ON webhooks (org_id);

-- What is told to whom: written in the transaction of what happened, kept for a while.
CREATE TABLE webhook_deliveries (
    id            TEXT   NOT NULL PRIMARY KEY,
    org_id        BIGINT NOT NULL,
    webhook_id    TEXT   NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_type    TEXT   NOT NULL,
    body          TEXT   NOT NULL,
    state         TEXT   NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts      BIGINT NOT NULL,
    attempts_left BIGINT NOT NULL,
    last_status   BIGINT,
    last_failure  TEXT,
    created_at    BIGINT NOT NULL,
    attempted_at  BIGINT,
    next_at       BIGINT
);

CREATE INDEX webhook_deliveries_of_webhook ON webhook_deliveries (org_id, webhook_id, id);
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (created_at);
