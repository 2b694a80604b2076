-- What workers do about a host's CRL before it ends. `renewal` is an observation like its neighbours; the other two
-- let one worker at a time try, and none all the time: the newest fencing token, and when it tried.
ALTER TABLE server_contacts ADD COLUMN renewal text;
ALTER TABLE server_contacts ADD COLUMN renewal_fence bigint NOT NULL DEFAULT 0 CHECK (renewal_fence >= 0);
ALTER TABLE server_contacts ADD COLUMN renewal_tried_at bigint;

-- When certificates of clients end, answered from the index alone.
CREATE INDEX clients_ends
  ON clients (server_id, status, cert_not_after_at, cert_not_before_at, revoke_requested_at);
