-- Keys that end soon, keys that nobody uses, and keys that nobody should.

-- When the next reminder of the end of a key is due; none if there will be none.
ALTER TABLE keys ADD COLUMN remind_at BIGINT;
-- The last reminder of its present end: how many days before it, and when it was given.
ALTER TABLE keys ADD COLUMN reminded_days BIGINT;
ALTER TABLE keys ADD COLUMN reminded_at BIGINT;

-- Since when it has been switched on, if that is not since it was made.
ALTER TABLE keys ADD COLUMN active_since BIGINT;
-- When its organization was last told that it is not used.
ALTER TABLE keys ADD COLUMN dormancy_warned_at BIGINT;
-- Why the server itself switched it off.
ALTER TABLE keys ADD COLUMN disabled_reason TEXT;

-- Whether it opens nothing and raises an alarm where it is presented, and when it last did.
ALTER TABLE keys ADD COLUMN is_canary BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE keys ADD COLUMN alarmed_at BIGINT;

-- After how many days without a use keys are switched off: 0 for never, none for as the server has it.
ALTER TABLE organizations ADD COLUMN dormant_after_days BIGINT;

-- Keys that end already: thirty days before. What is past of that is passed over at the first look.
UPDATE keys SET remind_at = expires_at - 2592000000000 WHERE expires_at IS NOT NULL;

CREATE INDEX keys_by_reminder ON keys (remind_at) WHERE remind_at IS NOT NULL;
