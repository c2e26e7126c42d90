-- Answers with secrets, for clients that lost one and ask again: sealed under a key that is derived from
-- what only the client keeps.

CREATE TABLE sealed_answers (
    -- A keyed digest of who asked for what under which Idempotency-Key.
    id         TEXT   NOT NULL PRIMARY KEY,
    org_id     BIGINT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    key_id     TEXT   NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    -- A digest of the body that was sent.
    request    TEXT   NOT NULL,
    sealed     TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX sealed_answers_by_expiry ON sealed_answers (expires_at);
