-- Who did what. Rows are written in the transaction of the change they tell of and outlive what
-- they tell about.

CREATE TABLE audit_events (
    id           TEXT   NOT NULL PRIMARY KEY,
    org_id       BIGINT,
    at           BIGINT NOT NULL,
    action       TEXT   NOT NULL,
    actor_kind   TEXT   NOT NULL,
    actor_id     TEXT   NOT NULL,
    actor_name   TEXT   NOT NULL,
    subject_kind TEXT   NOT NULL,
    subject_id   TEXT   NOT NULL,
    detail       TEXT   NOT NULL,
    request_id   TEXT   NOT NULL,
    ip           TEXT   NOT NULL
);

CREATE INDEX audit_events_of_org ON audit_events (org_id, id);
CREATE INDEX audit_events_of_subject ON audit_events (org_id, subject_id, id);
