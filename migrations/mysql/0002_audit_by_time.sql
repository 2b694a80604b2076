-- The audit log by time. With seq, so that a page of a time range is read in the order of the index.
CREATE INDEX audit_log_by_time ON audit_log (at, seq);
