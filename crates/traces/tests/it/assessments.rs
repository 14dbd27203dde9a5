//! Feedback and expectations.

use lw_store::testing::both;
use lw_traces::{
    ASSESSMENT_NOT_FOUND, AssessmentUpdate, AssessmentValue, BAD_ASSESSMENT, Json, NewAssessment, SourceType, TRACE_NOT_FOUND,
};

use crate::world::{World, id};

fn new(name: &str, value: AssessmentValue) -> NewAssessment {
    NewAssessment {
        id: None,
        name: name.to_owned(),
        value,
        source_type: SourceType::LlmJudge,
        source_id: Some("gpt".to_owned()),
        span: None,
        rationale: Some("why".to_owned()),
        metadata: [("a".to_owned(), "b".to_owned())].into(),
        overrides: None,
        created_at: None,
        updated_at: None,
    }
}

fn feedback(value: &str) -> AssessmentValue {
    AssessmentValue::Feedback { value: Json::parse(value).unwrap(), error: None }
}

#[test]
fn one_that_overrides_another_stands_for_it() {
    both(|store| async move {
        let world = World::make(store).await;
        let (traces, ctx) = (&world.traces, &world.ctx);
        traces.start(ctx, world.new_trace(&id(1))).await.unwrap();
        let first = traces.assess(ctx, &id(1), new("corr", feedback("0.5"))).await.unwrap();
        assert_eq!(traces.assessment(&id(1), &first.id).await.unwrap(), first);
        let over = NewAssessment { overrides: Some(first.id.clone()), ..new("corr", feedback("0.9")) };
        let second = traces.assess(ctx, &id(1), over.clone()).await.unwrap();
        assert!(!traces.assessment(&id(1), &first.id).await.unwrap().is_valid && second.is_valid);
        let listed = traces.trace(&id(1)).await.unwrap().assessments;
        assert_eq!(listed.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), [&first.id, &second.id]);

        traces.remove_assessment(ctx, &id(1), &second.id).await.unwrap();
        assert!(traces.assessment(&id(1), &first.id).await.unwrap().is_valid);
        traces.remove_assessment(ctx, &id(1), "nope").await.unwrap();
        let unknown = NewAssessment { overrides: Some("a-nope".to_owned()), ..over };
        assert!(traces.assess(ctx, &id(1), unknown).await.unwrap_err().is(ASSESSMENT_NOT_FOUND));
        assert!(traces.assess(ctx, "nope", new("x", feedback("1"))).await.unwrap_err().is(TRACE_NOT_FOUND));
        assert!(traces.assessment("nope", "nope").await.unwrap_err().is(TRACE_NOT_FOUND));
    });
}

#[test]
fn an_update_keeps_what_it_does_not_name() {
    both(|store| async move {
        let world = World::make(store).await;
        let (traces, ctx) = (&world.traces, &world.ctx);
        traces.start(ctx, world.new_trace(&id(1))).await.unwrap();
        let first = traces.assess(ctx, &id(1), new("corr", feedback(r#"{"b": 1, "a": [null, "x"]}"#))).await.unwrap();
        let update = AssessmentUpdate {
            name: Some("new".to_owned()),
            metadata: [("m".to_owned(), "n".to_owned())].into(),
            ..AssessmentUpdate::default()
        };
        let updated = traces.update_assessment(ctx, &id(1), &first.id, update).await.unwrap();
        assert_eq!((updated.name.as_str(), &updated.value, updated.metadata.len()), ("new", &first.value, 2));
        assert_eq!(updated.rationale.as_deref(), Some("why"));
        let other = AssessmentValue::Expectation { value: Json::Int(1) };
        let update = AssessmentUpdate { value: Some(other.clone()), ..AssessmentUpdate::default() };
        assert!(traces.update_assessment(ctx, &id(1), &first.id, update).await.unwrap_err().is(BAD_ASSESSMENT));
        let expected = traces.assess(ctx, &id(1), new("corr", other.clone())).await.unwrap();
        assert_eq!(traces.assessment(&id(1), &expected.id).await.unwrap().value, other);
        let issue = traces.assess(ctx, &id(1), new("iss-1", AssessmentValue::Issue { name: "slow".to_owned() })).await.unwrap();
        assert_eq!(traces.assessment(&id(1), &issue.id).await.unwrap(), issue);
    });
}
