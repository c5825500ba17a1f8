//! Errors that a script raises itself, or that another server sends it: they are the script's, whatever they are called.

use crate::support::{Shop, snapshots};

/// acme and bolt, and a migration that only acme does not take.
async fn fails_in_acme(how: &str) -> Shop {
    let shop = Shop::with(&["acme", "bolt"]).await;
    let up = format!(
        "do $$ begin if current_schema() = 'acme' then {how}; end if; end $$;\ncreate table done ();\n"
    );
    shop.migration(2, "odd", &up, "drop table done;\n");
    shop
}

#[tokio::test]
async fn a_state_that_a_script_raises_is_no_lost_connection_of_ours() {
    for code in ["08001", "08006", "57P01", "57P03", "25P03", "53300"] {
        let shop = fails_in_acme(&format!("raise sqlstate '{code}'")).await;
        let ran = shop.run(&["up", "--max-failures", "5", "--output", "json"]);
        assert_eq!(ran.code, 1, "{code}: {}", ran.screen());
        let report = ran.json();
        let scope = &report["scopes"][1];
        assert_eq!(scope["moved"], 1, "{code}: {}", ran.screen());
        let failure = &scope["failures"][0]["example"];
        assert_eq!(failure["fault"], "tenant", "{code}: {}", ran.screen());
        assert_eq!(failure["error"]["code"], code);
        assert_eq!(failure["tries"], 1, "{code}");
        assert_eq!(failure["place"]["position"]["line"], 1, "{code}");
    }
}

/// Nobody listens there.
const AWAY: &str = "create extension postgres_fdw;
    create server away foreign data wrapper postgres_fdw options (host '127.0.0.1', port '1', dbname 'none');
    create user mapping for current_user server away options (user 'nobody', password 'none');
    create foreign table public.ft (id int) server away";

#[tokio::test]
async fn a_server_that_a_script_cannot_reach_is_not_the_one_it_runs_on() {
    let shop = fails_in_acme("perform count(*) from public.ft").await;
    shop.sql(AWAY).await;
    let ran = shop.run(&["up", "--max-failures", "5"]);
    let bound = snapshots().bind_to_scope();
    insta::assert_snapshot!("up_other_server_away", ran.screen());
    drop(bound);
}
