use crate::doctor::{Check, Found, Looking, Patient};

/// Settings of the role and of the database.
#[derive(Debug, Clone, Copy)]
pub struct RoleSettings;

impl Check for RoleSettings {
    fn name(&self) -> &'static str {
        "role-settings"
    }

    fn looks_at(&self) -> &'static str {
        "timeouts and a read-only default, set on the role or on the database"
    }

    fn why(&self) -> &'static str {
        "such a setting ends tenantry's own queries as well, at a time that nobody expects"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let rows: Vec<(String, String)> = sqlx::query_as(
                "select split_part(setting, '=', 1), case when s.setrole = 0 then 'DATABASE ' || quote_ident(current_database())
                        when s.setdatabase = 0 then 'ROLE ' || quote_ident(current_user)
                        else 'ROLE ' || quote_ident(current_user) || ' IN DATABASE ' || quote_ident(current_database()) end
                        || ': ' || setting
                   from pg_db_role_setting s, unnest(s.setconfig) as setting
                  where s.setrole in (0, (select oid from pg_roles where rolname = current_user))
                    and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
                    and split_part(setting, '=', 1) in ('statement_timeout', 'lock_timeout', 'transaction_timeout',
                        'idle_session_timeout', 'default_transaction_read_only', 'role', 'session_replication_role')
                  order by 2, 1",
            )
            .fetch_all(patient.connection())
            .await?;
            if rows.is_empty() {
                return Ok(vec![Found::ok("none that would be in the way")]);
            }
            let found = rows.into_iter().map(|(name, value)| {
                let whose = value.split(": ").next().unwrap_or_default().to_owned();
                Found::warning(value, format!("ALTER {whose} RESET {name};"))
            });
            Ok(found.collect())
        })
    }
}
