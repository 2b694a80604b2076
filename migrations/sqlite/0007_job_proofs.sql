-- What a revocation's last attempt has read back from the VPN host, as JSON.
ALTER TABLE jobs ADD COLUMN proofs TEXT;
