-- Clients whose revocation was asked for and is not done: few, whatever the number of clients.
CREATE INDEX clients_revocations ON clients (status, revoke_requested_at);
