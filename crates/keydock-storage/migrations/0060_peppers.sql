-- The pepper can be replaced while keys go on working: every digest says which pepper it was made with.

-- What is known of each. The peppers themselves lie outside the database.
CREATE TABLE peppers (
    -- The beginning of the digest by which a pepper is known again.
    id            TEXT   NOT NULL PRIMARY KEY,
    -- Since when new digests are made with it.
    current_since BIGINT NOT NULL,
    -- Since when nothing is looked up with it any more.
    retired_at    BIGINT
);

-- The servers that run, and the peppers that each of them has.
CREATE TABLE pepper_nodes (
    node    TEXT   NOT NULL PRIMARY KEY,
    knows   TEXT   NOT NULL,
    seen_at BIGINT NOT NULL
);

-- The id of the pepper; with `/sha256` behind it where the digest is one of the SHA-256 of a secret,
-- because no more was known when it was imported.
ALTER TABLE keys ADD COLUMN pepper TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN previous_pepper TEXT;
ALTER TABLE platform_tokens ADD COLUMN pepper TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN pepper TEXT NOT NULL DEFAULT '';
ALTER TABLE exchanged_tokens ADD COLUMN pepper TEXT NOT NULL DEFAULT '';
-- Which pepper the secrets of a webhook follow from.
ALTER TABLE webhooks ADD COLUMN pepper TEXT NOT NULL DEFAULT '';
ALTER TABLE webhooks ADD COLUMN previous_pepper TEXT;
-- Which pepper events are sealed with from here on; empty for the one that there was first.
ALTER TABLE audit_chain ADD COLUMN pepper TEXT NOT NULL DEFAULT '';
-- Where a secret that was made anew with another pepper, or from an import, is found now.
ALTER TABLE key_changes ADD COLUMN moved_to TEXT;

UPDATE keys
SET pepper = COALESCE((SELECT SUBSTR(value, 1, 12) FROM settings WHERE name = 'pepper_check'), '');
UPDATE keys SET previous_pepper = pepper WHERE previous_digest IS NOT NULL;
UPDATE platform_tokens
SET pepper = COALESCE((SELECT SUBSTR(value, 1, 12) FROM settings WHERE name = 'pepper_check'), '');
UPDATE sessions
SET pepper = COALESCE((SELECT SUBSTR(value, 1, 12) FROM settings WHERE name = 'pepper_check'), '');
UPDATE exchanged_tokens
SET pepper = COALESCE((SELECT SUBSTR(value, 1, 12) FROM settings WHERE name = 'pepper_check'), '');
UPDATE webhooks
SET pepper = COALESCE((SELECT SUBSTR(value, 1, 12) FROM settings WHERE name = 'pepper_check'), '');

CREATE INDEX keys_by_pepper ON keys (pepper);
CREATE INDEX keys_by_previous_pepper ON keys (previous_pepper);
CREATE INDEX platform_tokens_by_pepper ON platform_tokens (pepper);
CREATE INDEX key_changes_by_move ON key_changes (digest);
