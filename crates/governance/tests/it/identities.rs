use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use lw_core::{Actor, Ctx, SimulatedClock, Span};
use lw_governance::{ACTOR_DISABLED, ACTOR_NOT_FOUND, BAD_ACTOR, BAD_TOKEN, Identities, TOKEN_FILE};
use lw_store::testing::{TestDirectory, both};

use crate::ctx;

#[test]
fn a_token_acts_as_its_identity_until_it_is_taken_back() {
    both(|store| async move {
        let (identities, admin, bo) = (Identities::new(store.clone()), ctx("ana"), Actor::new("bo"));
        assert!(identities.create_token(&admin, &bo, "laptop", None).await.unwrap_err().is(ACTOR_NOT_FOUND));
        identities.ensure(&admin, &bo, "Bo").await.unwrap();
        let new = identities.create_token(&admin, &bo, "laptop", None).await.unwrap();
        assert!(new.text().starts_with("lw_user_") && new.text().len() > 100);
        assert!(!format!("{new:?}").contains(new.text()));
        assert_eq!(identities.authenticate(&admin, new.text()).await.unwrap(), bo);
        let mut wrong = new.text().to_owned();
        let last = if wrong.pop() == Some('0') { '1' } else { '0' };
        wrong.push(last);
        let other_id = format!("lw_user_{}_{}", "0".repeat(32), "0".repeat(64));
        for text in ["", "lw_", "' OR 1=1--", &wrong, &other_id, &format!("{}x", new.text()), &new.text()[3..]] {
            let error = identities.authenticate(&admin, text).await.unwrap_err();
            assert!(error.is(BAD_TOKEN), "{text}");
            assert_eq!(error.message(), "the token is not accepted", "every failure says the same");
        }
        identities.revoke_token(&admin, &new.token.id).await.unwrap();
        identities.revoke_token(&admin, &new.token.id).await.unwrap();
        assert!(identities.authenticate(&admin, new.text()).await.unwrap_err().is(BAD_TOKEN));
        assert_eq!(identities.tokens(&bo).await.unwrap().len(), 1);
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn the_database_holds_no_secret() {
    both(|store| async move {
        let (identities, admin, bot) = (Identities::new(store.clone()), ctx("ana"), Actor::new("service:ci"));
        identities.ensure(&admin, &bot, "CI").await.unwrap();
        let new = identities.create_token(&admin, &bot, "ci", None).await.unwrap();
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
        identities.ensure(&admin, &bo, "Bo").await.unwrap();
        let expires_at = admin.now() + Span::from_hours(1);
        let short = identities.create_token(&admin, &bo, "short", Some(expires_at)).await.unwrap();
        let long = identities.create_token(&admin, &bo, "long", None).await.unwrap();
        let accepts = async |text: &str| identities.authenticate(&admin, text).await.is_ok();
        assert!(accepts(short.text()).await);
        clock.set(expires_at);
        assert!(!accepts(short.text()).await && accepts(long.text()).await);
        identities.disable(&admin, &bo).await.unwrap();
        assert!(!accepts(long.text()).await);
        assert!(identities.create_token(&admin, &bo, "more", None).await.unwrap_err().is(ACTOR_DISABLED));
        identities.enable(&admin, &bo).await.unwrap();
        assert!(accepts(long.text()).await);
        for bad in ["", "a b", "a\nb", ":x", "x:", &"a".repeat(121)] {
            assert!(identities.ensure(&admin, &Actor::new(bad), "").await.unwrap_err().is(BAD_ACTOR), "{bad:?}");
        }
        assert_eq!(identities.list(None, 10).await.unwrap().len(), 1);
        assert!(store.verify().await.unwrap().is_sound());
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
        assert_eq!(identities.authenticate(&ctx, &text).await.unwrap(), ana);
        assert_eq!(identities.local_token(&ctx, &file, &ana).await.unwrap(), text, "the token stays the same");

        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = identities.local_token(&ctx, &file, &ana).await.unwrap_err();
        assert!(error.is(TOKEN_FILE) && error.message().contains("read by others"), "{error:?}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file, "lw_local_of_another_database").unwrap();
        let renewed = identities.local_token(&ctx, &file, &ana).await.unwrap();
        assert!(renewed != text && identities.authenticate(&ctx, &renewed).await.is_ok());
        let error = identities.local_token(&ctx, &directory.path().join("no/token"), &ana).await.unwrap_err();
        assert!(error.is(TOKEN_FILE));
    });
}
