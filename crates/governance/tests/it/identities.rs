use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use lw_core::{Actor, Ctx, SimulatedClock, Span};
use lw_governance::{
    ACTOR_DISABLED, ACTOR_EXISTS, ACTOR_NOT_FOUND, BAD_ACTOR, BAD_EXPIRY, BAD_LABEL, BAD_ROLE, BAD_TOKEN, Identities, Identity,
    LONGEST_LIFETIME, NewIdentity, NewToken, Purpose, Role, RoleChange, STANDARD_LIFETIME, TOKEN_FILE, TOKEN_NOT_FOUND,
    WORKSPACE_TOKEN, parse_actor,
};
use lw_store::testing::{TestDirectory, both};
use lw_store::{EntryFilter, Store};

use crate::ctx;

async fn add(identities: &Identities, ctx: &Ctx, name: &str, roles: &[Role]) -> lw_core::Result<Identity> {
    let roles = roles.iter().copied().collect();
    identities.create(ctx, NewIdentity { actor: Actor::new(name), display_name: String::new(), roles }).await
}

async fn issue(identities: &Identities, ctx: &Ctx, name: &str) -> lw_core::Result<NewToken> {
    identities.create_token(ctx, &Actor::new(name), "laptop", ctx.now() + STANDARD_LIFETIME).await
}

async fn actions(store: &Store) -> Vec<String> {
    store.entries(EntryFilter::all()).await.unwrap().into_iter().map(|entry| entry.action).collect()
}

#[test]
fn a_token_acts_as_its_identity_until_it_is_taken_back() {
    both(|store| async move {
        let (identities, admin, bo) = (Identities::new(store.clone()), ctx("ana"), Actor::new("bo"));
        assert!(issue(&identities, &admin, "bo").await.unwrap_err().is(ACTOR_NOT_FOUND));
        add(&identities, &admin, "bo", &[Role::Viewer]).await.unwrap();
        let new = issue(&identities, &admin, "bo").await.unwrap();
        assert!(new.text().starts_with("lw_user_") && new.text().len() > 100);
        assert!(!format!("{new:?}").contains(new.text()));
        let found = identities.authenticate(&admin, new.text()).await.unwrap();
        assert_eq!((&found.identity.actor, &found.token.id, found.token.purpose), (&bo, &new.token.id, Purpose::User));
        assert_eq!(found.token.created_at, new.token.created_at);
        assert_eq!(found.identity.roles.iter().copied().collect::<Vec<_>>(), [Role::Viewer]);
        let mut wrong = new.text().to_owned();
        let last = if wrong.pop() == Some('0') { '1' } else { '0' };
        wrong.push(last);
        let other_id = format!("lw_user_{}_{}", "0".repeat(32), "0".repeat(64));
        for text in ["", "lw_", "' OR 1=1--", &wrong, &other_id, &format!("{}x", new.text()), &new.text()[3..]] {
            let error = identities.authenticate(&admin, text).await.unwrap_err();
            assert!(error.is(BAD_TOKEN), "{text}");
            assert_eq!(error.message(), "the token is not accepted", "every failure says the same");
        }
        assert!(identities.revoke_own_token(&admin, &Actor::new("ana"), &new.token.id).await.unwrap_err().is(TOKEN_NOT_FOUND));
        identities.revoke_own_token(&admin, &bo, &new.token.id).await.unwrap();
        identities.revoke_token(&admin, &new.token.id).await.unwrap();
        assert!(identities.authenticate(&admin, new.text()).await.unwrap_err().is(BAD_TOKEN));
        assert_eq!(actions(&store).await, ["actor.create", "token.create", "token.revoke"], "what changes nothing is no entry");
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn the_database_holds_no_secret() {
    both(|store| async move {
        let (identities, admin) = (Identities::new(store.clone()), ctx("ana"));
        add(&identities, &admin, "service:ci", &[]).await.unwrap();
        let new = issue(&identities, &admin, "service:ci").await.unwrap();
        assert!(new.text().starts_with("lw_service_"));
        let secret = new.text().rsplit('_').next().unwrap().to_owned();
        let rows = store.read(|reader| {
            let mut rows = reader.query("SELECT * FROM token", &[])?;
            rows.extend(reader.query("SELECT * FROM ledger", &[])?);
            Ok(format!("{rows:?}"))
        });
        assert!(!rows.await.unwrap().contains(&secret));
        assert!(!serde_json::to_string(&new.token).unwrap().contains("sha256"), "the hash is not shown either");
    });
}

#[test]
fn tokens_expire_and_fall_with_their_identity() {
    both(|store| async move {
        let (identities, bo) = (Identities::new(store.clone()), Actor::new("bo"));
        let clock = Arc::new(SimulatedClock::at(ctx("ana").now()));
        let admin = Ctx { clock: clock.clone(), ..ctx("ana") };
        add(&identities, &admin, "bo", &[]).await.unwrap();
        let expires_at = admin.now() + Span::from_hours(1);
        let short = identities.create_token(&admin, &bo, "short", expires_at).await.unwrap();
        let long = issue(&identities, &admin, "bo").await.unwrap();
        let accepts = async |text: &str| identities.authenticate(&admin, text).await.is_ok();
        assert!(accepts(short.text()).await);
        clock.set(expires_at);
        assert!(!accepts(short.text()).await && accepts(long.text()).await);
        assert_eq!((short.token.state(admin.now()), long.token.state(admin.now())), ("expired", "active"));
        identities.disable(&admin, &bo).await.unwrap();
        assert!(!accepts(long.text()).await);
        assert!(issue(&identities, &admin, "bo").await.unwrap_err().is(ACTOR_DISABLED));
        identities.enable(&admin, &bo).await.unwrap();
        assert!(accepts(long.text()).await);
        for bad in [admin.now(), admin.now() - Span::from_secs(1), admin.now() + LONGEST_LIFETIME + Span::from_micros(1)] {
            assert!(identities.create_token(&admin, &bo, "bad", bad).await.unwrap_err().is(BAD_EXPIRY), "{bad}");
        }
        identities.create_token(&admin, &bo, "longest", admin.now() + LONGEST_LIFETIME).await.unwrap();
        let label = identities.create_token(&admin, &bo, "two\nlines", expires_at + Span::from_hours(1)).await;
        assert!(label.unwrap_err().is(BAD_LABEL));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn roles_add_up_and_every_change_is_an_entry() {
    both(|store| async move {
        let (identities, admin, bo) = (Identities::new(store.clone()), ctx("ana"), Actor::new("bo"));
        add(&identities, &admin, "bo", &[Role::Viewer]).await.unwrap();
        for name in ["bo", "Bo", "BO"] {
            let taken = add(&identities, &admin, name, &[]).await.unwrap_err();
            assert!(
                taken.is(ACTOR_EXISTS) && taken.message().contains("`bo`"),
                "names that differ in capital letters are one: {taken:?}"
            );
        }
        let change = |grant: &[Role], revoke: &[Role]| RoleChange {
            grant: grant.iter().copied().collect(),
            revoke: revoke.iter().copied().collect(),
        };
        let both = change(&[Role::Approver, Role::Engineer], &[Role::Viewer]);
        let changed = identities.change_roles(&admin, &bo, both.clone()).await.unwrap();
        assert_eq!(changed.roles.iter().copied().collect::<Vec<_>>(), [Role::Engineer, Role::Approver]);
        identities.change_roles(&admin, &bo, both).await.unwrap();
        assert_eq!(identities.identity(&bo).await.unwrap(), changed);
        let entries = store.entries(EntryFilter::all().action("actor.change_roles")).await.unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].payload, serde_json::json!({"before": ["viewer"], "after": ["engineer", "approver"]}));

        add(&identities, &admin, "service:ci", &[Role::Engineer]).await.unwrap();
        let grant = identities.change_roles(&admin, &Actor::new("service:ci"), change(&[Role::Approver], &[])).await;
        assert!(grant.unwrap_err().is(BAD_ROLE), "only people approve");
        assert!(add(&identities, &admin, "service:cd", &[Role::Approver]).await.unwrap_err().is(BAD_ROLE));
        let nobody = identities.change_roles(&admin, &Actor::new("cy"), change(&[Role::Viewer], &[])).await;
        assert!(nobody.unwrap_err().is(ACTOR_NOT_FOUND));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn names_are_of_people_and_services() {
    for good in ["ana", "ana@example.org", "service:ci", "a.b_c-d+e", &"a".repeat(64)] {
        assert_eq!(parse_actor(good).unwrap().as_str(), good);
    }
    for bad in ["", "loopwright:monitor", "ana\n", "a b", "service:", ":x", "x:", "é", "team:ml", &"a".repeat(65)] {
        assert!(parse_actor(bad).unwrap_err().is(BAD_ACTOR), "{bad:?}");
    }
}

#[test]
fn lists_come_in_pages() {
    both(|store| async move {
        let (identities, clock) = (Identities::new(store), Arc::new(SimulatedClock::at(ctx("ana").now())));
        let admin = Ctx { clock: clock.clone(), ..ctx("ana") };
        let mut made = Vec::new();
        for name in ["bo", "cy"] {
            add(&identities, &admin, name, &[]).await.unwrap();
            for _ in 0..2 {
                clock.set(admin.now() + Span::from_secs(1));
                made.push(issue(&identities, &admin, name).await.unwrap().token.id);
            }
        }
        made.reverse();
        let ids = async |actor: Option<&str>, after: Option<&str>, limit: u64| -> Vec<String> {
            let actor = actor.map(Actor::new);
            identities.tokens(actor.as_ref(), after, limit).await.unwrap().into_iter().map(|token| token.id).collect()
        };
        assert_eq!(ids(None, None, 10).await, made);
        assert_eq!(ids(None, None, 3).await, made[..3]);
        assert_eq!(ids(None, Some(&made[2]), 3).await, made[3..]);
        assert_eq!(ids(Some("bo"), None, 10).await, made[2..]);
        assert!(identities.tokens(Some(&Actor::new("dee")), None, 1).await.unwrap_err().is(ACTOR_NOT_FOUND));
        let names: Vec<_> = identities.list(Some(&Actor::new("bo")), 10).await.unwrap();
        assert_eq!(names.iter().map(|identity| identity.actor.as_str()).collect::<Vec<_>>(), ["cy"]);
    });
}

#[test]
fn the_token_file_belongs_to_its_owner_alone() {
    both(|store| async move {
        let (identities, ctx, ana) = (Identities::new(store), ctx("loopwright:server"), Actor::new("ana"));
        let directory = TestDirectory::make();
        let file = directory.path().join("token");
        let text = identities.local_token(&ctx, &file, &ana).await.unwrap();
        assert!(text.starts_with("lw_local_"));
        let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode, std::fs::read_to_string(&file).unwrap()), (0o600, text.clone()));
        let found = identities.authenticate(&ctx, &text).await.unwrap();
        assert_eq!((found.identity.actor, found.token.purpose), (ana.clone(), Purpose::Local));
        assert!(identities.revoke_token(&ctx, &found.token.id).await.unwrap_err().is(WORKSPACE_TOKEN));
        assert_eq!(identities.local_token(&ctx, &file, &ana).await.unwrap(), text, "the token stays the same");

        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = identities.local_token(&ctx, &file, &ana).await.unwrap_err();
        assert!(error.is(TOKEN_FILE) && error.message().contains("read by others"), "{error:?}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file, "lw_local_of_another_database").unwrap();
        let renewed = identities.local_token(&ctx, &file, &ana).await.unwrap();
        assert!(renewed != text && identities.authenticate(&ctx, &renewed).await.is_ok());
        assert!(identities.authenticate(&ctx, &text).await.unwrap_err().is(BAD_TOKEN), "the one before has ended");
        let error = identities.local_token(&ctx, &directory.path().join("no/token"), &ana).await.unwrap_err();
        assert!(error.is(TOKEN_FILE));
    });
}

#[test]
fn what_is_remembered_ends_with_the_next_change() {
    both(|store| async move {
        let (identities, clock) = (Identities::new(store.clone()), Arc::new(SimulatedClock::at(ctx("ana").now())));
        let admin = Ctx { clock: clock.clone(), ..ctx("ana") };
        add(&identities, &admin, "bo", &[Role::Viewer]).await.unwrap();
        let new = issue(&identities, &admin, "bo").await.unwrap();
        // Each is asked twice: the second answer is remembered. Another handle on the store makes the changes.
        let ask = async || {
            let first = identities.authenticate(&admin, new.text()).await;
            let second = identities.authenticate(&admin, new.text()).await;
            assert_eq!(first.as_ref().ok(), second.as_ref().ok());
            second.map(|found| found.identity.roles.iter().copied().collect::<Vec<_>>())
        };
        let other = Identities::new(store);
        assert_eq!(ask().await.unwrap(), [Role::Viewer]);
        let grant = RoleChange { grant: [Role::Engineer].into(), ..RoleChange::default() };
        other.change_roles(&admin, &Actor::new("bo"), grant).await.unwrap();
        assert_eq!(ask().await.unwrap(), [Role::Viewer, Role::Engineer]);
        other.disable(&admin, &Actor::new("bo")).await.unwrap();
        assert!(ask().await.unwrap_err().is(BAD_TOKEN));
        other.enable(&admin, &Actor::new("bo")).await.unwrap();
        ask().await.unwrap();
        clock.set(admin.now() + STANDARD_LIFETIME);
        assert!(ask().await.unwrap_err().is(BAD_TOKEN), "time ends a token without a change");
        clock.set(new.token.created_at);
        other.revoke_token(&admin, &new.token.id).await.unwrap();
        assert!(ask().await.unwrap_err().is(BAD_TOKEN));
    });
}
