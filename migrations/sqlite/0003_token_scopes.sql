-- What of its role a token may be used for. Older tokens may be used for all of it, as before.
ALTER TABLE tokens ADD COLUMN scopes TEXT NOT NULL DEFAULT 'read,clients,audit,servers,tokens,approvals' CHECK (scopes <> '');

CREATE INDEX tokens_by_principal ON tokens (principal, id);

DROP TRIGGER tokens_update;

CREATE TRIGGER tokens_update BEFORE UPDATE ON tokens
BEGIN
  SELECT CASE
    WHEN NEW.id IS NOT OLD.id OR NEW.principal IS NOT OLD.principal OR NEW.role IS NOT OLD.role
      OR NEW.scopes IS NOT OLD.scopes OR NEW.secret_hash IS NOT OLD.secret_hash
      OR NEW.created_by IS NOT OLD.created_by OR NEW.created_at IS NOT OLD.created_at
      OR NEW.expires_at IS NOT OLD.expires_at
      THEN RAISE(ABORT, 'tokens: immutable column')
    WHEN OLD.revoked_at IS NOT NULL
      AND (NEW.revoked_at IS NOT OLD.revoked_at OR NEW.revoked_by IS NOT OLD.revoked_by)
      THEN RAISE(ABORT, 'tokens: revoked is final')
  END;
END;
