-- The chain of the audit log: every event has a number without gaps, in the order of the commits, and a
-- hash over itself and the hash before it. Events from before have none until the next start gives
-- them theirs, once.
ALTER TABLE audit_events ADD COLUMN seq BIGINT;
ALTER TABLE audit_events ADD COLUMN hash TEXT;
-- A keyed digest of the hash, which nobody can make who has the database alone.
ALTER TABLE audit_events ADD COLUMN seal TEXT;

CREATE UNIQUE INDEX audit_events_seq ON audit_events (seq);
CREATE INDEX audit_events_of_org_seq ON audit_events (org_id, seq);
DROP INDEX audit_events_of_org;

-- The end of the chain. Its one row stays locked from the taking of a number to the commit.
CREATE TABLE audit_chain (
    id   BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    seq  BIGINT NOT NULL,
    hash TEXT   NOT NULL
);

INSERT INTO audit_chain (id, seq, hash) VALUES (1, 0, '');
