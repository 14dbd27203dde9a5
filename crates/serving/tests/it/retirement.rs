//! Endpoints that are taken out of service.

use lw_serving::Routing;
use lw_serving::failures::{NO_PREVIOUS_DEPLOYMENT, STALE_GENERATION, UNKNOWN_ENDPOINT};

use crate::world::{ENDPOINT, World, name};

#[tokio::test]
async fn a_retired_endpoint_answers_no_more_and_begins_anew() {
    let world = World::make().await;
    let serving = world.serving().await;
    let (ctx, endpoint, store) = (world.ctx("deploy"), name(ENDPOINT), &world.parts.store);
    let routing = Routing::only(world.version(1, 0.1).await);
    serving.activate(&ctx, world.activation(0, routing.clone())).await.unwrap();

    let retire = async |generation| serving.retire_with(&ctx, &endpoint, generation, "replaced".to_owned(), |_| Ok(())).await;
    assert!(retire(7).await.unwrap_err().is(STALE_GENERATION));
    let broken = |_: &mut lw_store::Tx<'_>| Err(lw_core::Error::bug("the power is gone"));
    assert!(serving.retire_with(&ctx, &endpoint, 1, "replaced".to_owned(), broken).await.is_err());
    assert!(serving.endpoint(ENDPOINT).is_ok(), "what the caller adds fails, so nothing happens");
    assert_eq!(retire(1).await.unwrap().routing, routing);
    assert!(retire(2).await.unwrap_err().is(UNKNOWN_ENDPOINT));

    assert!(serving.endpoint(ENDPOINT).is_err());
    assert!(lw_serving::all_current(store).await.unwrap().is_empty());
    assert!(lw_serving::current(store, &endpoint).await.unwrap_err().is(UNKNOWN_ENDPOINT));

    assert!(serving.activate(&ctx, world.activation(2, routing.clone())).await.unwrap_err().is(UNKNOWN_ENDPOINT));
    let again = serving.activate(&ctx, world.activation(0, routing)).await.unwrap();
    assert_eq!(again.generation, 3);
    assert!(serving.endpoint(ENDPOINT).is_ok());
    let back = serving.roll_back(&ctx, &endpoint, Some(3), "worse".to_owned()).await.unwrap_err();
    assert!(back.is(NO_PREVIOUS_DEPLOYMENT), "a rollback does not reach behind a retirement: {back:?}");

    let name = endpoint.clone();
    store.write(&ctx, move |tx| lw_serving::retire(tx, &name, 3, "by another process")).await.unwrap();
    serving.sync().await.unwrap();
    assert!(serving.endpoint(ENDPOINT).is_err(), "this process follows");
    assert!(store.verify().await.unwrap().is_sound());
}
