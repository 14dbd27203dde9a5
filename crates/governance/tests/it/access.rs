use std::collections::BTreeSet;

use lw_core::{Actor, Digest, Timestamp};
use lw_governance::{Action, Caller, Credential, Identity, OWN_ACCESS, ROLE_MISSING, Role, check_other, permit};

fn holder(name: &str, roles: &[Role]) -> Caller {
    let (actor, at) = (Actor::new(name), Timestamp::from_micros(0));
    let roles: BTreeSet<Role> = roles.iter().copied().collect();
    let token = serde_json::json!({
        "id": Digest::of(b"x").short(), "actor": name, "purpose": "user", "label": "", "created_at": at, "expires_at": null,
        "revoked_at": null,
    });
    let token = serde_json::from_value(token).unwrap();
    Caller::Holder(Box::new(Credential {
        identity: Identity { actor, display_name: String::new(), roles, created_at: at, disabled_at: None },
        token,
    }))
}

#[track_caller]
fn check(roles: &[Role], want: &[Action]) {
    let free = [Action::Probe, Action::Connect];
    let found: Vec<Action> = holder("bo", roles).actions().filter(|action| !free.contains(action)).collect();
    assert_eq!(found, want, "{roles:?}");
}

#[test]
fn a_role_allows_what_it_is_there_for() {
    use Action::{Administer, Approve, Deploy, Predict, Read, Write};
    check(&[], &[]);
    check(&[Role::Viewer], &[Read]);
    check(&[Role::Predictor], &[Predict]);
    check(&[Role::Engineer], &[Read, Predict, Write, Deploy]);
    check(&[Role::Approver], &[Read, Approve]);
    check(&[Role::Admin], &[Read, Administer]);
    check(Role::ALL, &[Read, Predict, Write, Deploy, Approve, Administer]);
    assert_eq!(Caller::Owner.actions().collect::<Vec<_>>(), Action::ALL);
}

#[test]
fn a_refusal_says_what_is_missing() {
    let error = permit(&holder("service:shop", &[Role::Predictor]), Action::Read).unwrap_err();
    assert!(error.is(ROLE_MISSING));
    assert_eq!(
        error.message(),
        "`service:shop` may not read: it is only predictor, and this needs viewer or engineer or approver or admin"
    );
    assert!(error.hint_text().unwrap().contains("`loopwright identity grant service:shop viewer`"));
    let error = permit(&holder("bo", &[]), Action::Approve).unwrap_err();
    assert_eq!(error.message(), "`bo` may not approve: it has no role, and this needs approver");
}

#[test]
fn nobody_changes_their_own_access() {
    let admin = holder("bo", &[Role::Admin]);
    assert!(check_other(&admin, &Actor::new("bo")).unwrap_err().is(OWN_ACCESS));
    check_other(&admin, &Actor::new("cy")).unwrap();
    check_other(&Caller::Owner, &Actor::new("bo")).unwrap();
}

#[test]
fn roles_are_read_by_name() {
    for role in Role::ALL {
        assert_eq!(Role::parse(role.name()).unwrap(), *role);
    }
    assert_eq!(
        Role::parse("enginer").unwrap_err().hint_text(),
        Some("did you mean `engineer`? the roles are viewer, predictor, engineer, approver, admin")
    );
}
