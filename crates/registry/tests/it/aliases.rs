use lw_registry::{ALIAS_NOT_FOUND, Alias, MODEL_VERSION_NOT_FOUND};
use lw_store::EntryFilter;
use lw_store::testing::both;

use crate::{ctx, model, new_version, with_model};

#[test]
fn aliases_move_with_a_record() {
    both(|store| async move {
        let registry = with_model(&store).await;
        let ana = ctx("ana");
        for seed in 1..=2 {
            registry.register(&ana, new_version(seed)).await.unwrap();
        }
        let challenger = Alias::challenger();
        registry.set_alias(&ana, &model(), &challenger, 1).await.unwrap();
        registry.set_alias(&ana, &model(), &challenger, 1).await.unwrap();
        registry.set_alias(&ana, &model(), &challenger, 2).await.unwrap();
        assert_eq!(registry.version_by_alias(&model(), &challenger).await.unwrap().version, 2);
        assert_eq!(registry.aliases(&model()).await.unwrap().len(), 1);
        assert!(registry.set_alias(&ana, &model(), &challenger, 3).await.unwrap_err().is(MODEL_VERSION_NOT_FOUND));
        assert!(registry.remove_alias(&ana, &model(), &Alias::champion()).await.unwrap_err().is(ALIAS_NOT_FOUND));
        registry.remove_alias(&ana, &model(), &challenger).await.unwrap();
        assert!(registry.version_by_alias(&model(), &challenger).await.unwrap_err().is(ALIAS_NOT_FOUND));
        assert_eq!(registry.champion(&model()).await.unwrap(), None);
        let entries = store.entries(EntryFilter::all().action("alias.*")).await.unwrap();
        assert_eq!(
            entries.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(),
            ["alias.set", "alias.set", "alias.remove"]
        );
        assert_eq!(entries[1].payload["previous"], 1);
        assert!(store.verify().await.unwrap().is_sound());
    });
}
