-- Work to be done. A finished job is deleted; a dead one stays, with its last error.
CREATE TABLE jobs (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,
    body         TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    -- When a worker may take it next; of a leased job, when the lease ends.
    due_at       BIGINT NOT NULL,
    attempts     BIGINT NOT NULL DEFAULT 0,
    max_attempts BIGINT NOT NULL,
    -- Proof of the current lease; absent while nobody holds the job.
    lease_token  TEXT,
    leased_by    TEXT,
    last_error   TEXT,
    died_at      BIGINT,
    CONSTRAINT jobs_max_attempts_positive CHECK (max_attempts > 0),
    CONSTRAINT jobs_lease_whole CHECK ((lease_token IS NULL) = (leased_by IS NULL)),
    CONSTRAINT jobs_dead_not_leased CHECK (died_at IS NULL OR lease_token IS NULL)
);

CREATE INDEX jobs_due ON jobs (due_at, kind) WHERE died_at IS NULL;
CREATE INDEX jobs_dead ON jobs (died_at) WHERE died_at IS NOT NULL;
