//! A monitor that computes predictions again: it finds an online row that is behind the tables.

use lw_core::{Name, Span};
use lw_monitoring::Monitoring;
use lw_project::failures::NOTHING_TO_COMPARE;

use crate::Shop;

const EDITS: [(&str, &str, &str); 1] = [(
    "models/churn.yaml",
    "approvals:",
    "monitors: [{name: skew, skew: features, window: 1d, threshold: 0.2, min_rows: 2}]\napprovals:",
)];

impl Shop {
    fn ask(&self, customer: &str) {
        let body = format!(r#"{{"customer_id": "{customer}", "plan": "free"}}"#);
        let endpoint = self.workspace.serving().endpoint("churn").unwrap();
        assert_eq!(endpoint.predict_json(&self.ctx(), body.as_bytes()).unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_online_row_raises_an_alert_until_it_is_brought_up_to_date() {
    let shop = Shop::serving(&EDITS).await;
    let model = Name::parse("churn").unwrap();
    let monitoring = Monitoring::new(shop.workspace.store().clone());
    let nothing = shop.workspace.skew(&shop.ctx(), &model, Span::from_days(1), 10).await.unwrap_err();
    assert!(nothing.is(NOTHING_TO_COMPARE), "{nothing}");

    // The customer is asked about before an order of the morning arrives: the online row is behind what training will see.
    let morning = shop.at(6);
    shop.at(12);
    shop.ask("c91");
    shop.ask("c94");
    shop.at(13);
    shop.order("orders_2.csv", "c91", morning).await;
    shop.at(24);
    shop.turn().await;
    let alerts = monitoring.alerts(Some(&model)).await.unwrap();
    let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
    assert_eq!((alert.monitor.as_str(), alert.state.name()), ("skew", "firing"));
    // The number of orders is the same: one of 30 days before is out when the new one is in.
    assert_eq!(alert.reasons, ["amount skew 0.5000 (limit 0.2000)"]);

    let skew = shop.workspace.skew(&shop.ctx(), &model, Span::from_days(1), 10).await.unwrap();
    assert_eq!((skew.version, skew.n_rows, skew.n_sampled), (1, 2, 2));
    let amount = skew.inputs.iter().find(|input| input.column == "amount").unwrap();
    let example = amount.example.as_ref().unwrap();
    assert!(example.online.is_some() && example.online != example.offline, "{example:?}");
    assert_eq!(example.at, shop.start + Span::from_hours(12));

    shop.at(30);
    shop.ask("c91");
    shop.ask("c94");
    shop.at(48);
    shop.turn().await;
    assert_eq!(monitoring.alerts(Some(&model)).await.unwrap()[0].state.name(), "resolved");
    assert!(shop.workspace.verify().await.unwrap().contains("verifies"));
    shop.workspace.close().await;
}
