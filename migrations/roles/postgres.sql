-- What the programs may do on PostgreSQL, and no more. To be run as the owner of the tables (who ran
-- `vpn-graphql migrate`), after each `migrate`; it may be run again. Before it, a superuser makes the roles:
--
--   CREATE ROLE vpn_owner   LOGIN PASSWORD '…';  -- migrates, restores, seals the audit log, and erases from it; nobody uses it otherwise
--   CREATE ROLE vpn_app     LOGIN PASSWORD '…';  -- vpn-graphql serve, vpn-graphql token, vpn-graphql backup, vpn-worker
--   CREATE ROLE vpn_auditor LOGIN PASSWORD '…';  -- vpn-graphql audit verify, export, checkpoint
--   CREATE DATABASE vpn OWNER vpn_owner;
--
-- Who does not own a table cannot drop it, truncate it, or take its triggers away.
GRANT USAGE ON SCHEMA public TO vpn_app, vpn_auditor;

GRANT SELECT ON settings, servers, server_contacts, server_drifts, clients, jobs, audit_log, audit_head, audit_seals,
  audit_values, tokens, profiles, profile_links, approvals, idempotency_keys TO vpn_app;
GRANT INSERT ON servers, server_contacts, server_drifts, clients, jobs, audit_log, audit_values, tokens, profiles,
  profile_links, approvals, idempotency_keys TO vpn_app;
GRANT UPDATE ON server_contacts, server_drifts, clients, jobs, audit_head, tokens, profiles, profile_links, approvals TO vpn_app;
GRANT UPDATE (state, host_key) ON servers TO vpn_app;
GRANT DELETE ON idempotency_keys TO vpn_app;
-- A backup says of which version it is.
GRANT SELECT ON _sqlx_migrations TO vpn_app;

GRANT SELECT ON settings, audit_log, audit_head, audit_seals, audit_values TO vpn_auditor;
