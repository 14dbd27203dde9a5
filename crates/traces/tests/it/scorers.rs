//! Scorers.

use lw_store::testing::both;
use lw_traces::{BAD_SCORER, SCORER_NOT_FOUND};
use lw_tracking::{EXPERIMENT_NOT_FOUND, ExperimentId};

use crate::world::World;

#[test]
fn scorers_have_versions() {
    both(|store| async move {
        let world = World::make(store.clone()).await;
        let (traces, ctx, experiment) = (&world.traces, &world.ctx, world.experiment);
        let first = traces.register_scorer(ctx, experiment, "s", r#"{"name": "s"}"#).await.unwrap();
        let second = traces.register_scorer(ctx, experiment, "s", r#"{"name": "s2"}"#).await.unwrap();
        assert_eq!((first.version, second.version, &first.id), (1, 2, &second.id));
        assert_eq!((first.id.len(), first.id.matches('-').count()), (36, 4));
        assert_eq!(traces.scorer(experiment, "s", None).await.unwrap(), second);
        assert_eq!(traces.scorer(experiment, "s", Some(1)).await.unwrap(), first);
        assert_eq!(traces.scorers_of(experiment).await.unwrap(), std::slice::from_ref(&second));
        assert!(traces.scorer(experiment, "s", Some(7)).await.unwrap_err().is(SCORER_NOT_FOUND));
        for bad in ["{bad", "[]", r#"{"a": [{"call_source": "print()"}]}"#] {
            assert!(traces.register_scorer(ctx, experiment, "x", bad).await.unwrap_err().is(BAD_SCORER), "{bad}");
        }
        let nowhere = ExperimentId::parse("999").unwrap();
        assert!(traces.register_scorer(ctx, nowhere, "x", "{}").await.unwrap_err().is(EXPERIMENT_NOT_FOUND));

        assert!(traces.sample(ctx, experiment, "s", 0.5, None).await.unwrap_err().is(BAD_SCORER));
        assert!(traces.sample(ctx, experiment, "s", 2.0, None).await.unwrap_err().is(BAD_SCORER));
        let sampling = traces.sample(ctx, experiment, "s", 0.0, Some("status = 'OK'".to_owned())).await.unwrap();
        assert_eq!(traces.samplings(vec![first.id.clone()]).await.unwrap(), [sampling]);

        traces.remove_scorer(ctx, experiment, "s", Some(2)).await.unwrap();
        assert_eq!(traces.scorer(experiment, "s", None).await.unwrap(), first);
        traces.remove_scorer(ctx, experiment, "s", None).await.unwrap();
        assert!(traces.remove_scorer(ctx, experiment, "s", None).await.unwrap_err().is(SCORER_NOT_FOUND));
        assert!(traces.samplings(vec![first.id]).await.unwrap().is_empty());
        assert!(store.verify().await.unwrap().is_sound());
    });
}
