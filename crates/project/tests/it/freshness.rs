//! Data that stay away: the contract of a table and the ttl of a view raise alerts, and data that come resolve them.

use lw_store::EntryFilter;

use crate::Shop;

const EDITS: [(&str, &str, &str); 2] = [
    ("sources/orders.yaml", "  on_failure: quarantine", "  freshness: 48h\n  on_failure: quarantine"),
    ("features/customer_orders.yaml", "ttl: 90d", "ttl: 4d"),
];

impl Shop {
    /// `table/orders ok, …` with what the ledger says about alerts.
    async fn check(&self, hours: i64, want: &str) {
        self.at(hours);
        self.turn().await;
        let fresh = self.workspace.freshness().await.unwrap();
        let shown: Vec<String> =
            fresh.iter().map(|fresh| format!("{}/{} {}", fresh.promise.kind.name(), fresh.promise.name, fresh.alert)).collect();
        assert_eq!(shown.join(", "), want);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_stay_away_raise_alerts_until_they_come() {
    let shop = Shop::serving(&EDITS).await;
    shop.check(47, "table/orders ok, feature_view/customer_orders ok").await;
    shop.check(49, "table/orders firing, feature_view/customer_orders ok").await;
    shop.check(100, "table/orders firing, feature_view/customer_orders firing").await;
    shop.order("orders_2.csv", "c91", shop.at(101)).await;
    shop.check(102, "table/orders resolved, feature_view/customer_orders resolved").await;
    shop.check(140, "table/orders resolved, feature_view/customer_orders resolved").await;

    let entries = shop.workspace.store().entries(EntryFilter::all().action("alert.*")).await.unwrap();
    let told: Vec<String> = entries.iter().map(|entry| format!("{} {}", entry.action, entry.subject)).collect();
    assert_eq!(
        told,
        [
            "alert.fire alert/table/orders/freshness",
            "alert.fire alert/feature_view/customer_orders/freshness",
            "alert.resolve alert/table/orders/freshness",
            "alert.resolve alert/feature_view/customer_orders/freshness",
        ]
    );
    assert!(entries[0].payload["reasons"][0].as_str().unwrap().starts_with("the newest event is of 2024-06-28"));
    assert!(shop.workspace.verify().await.unwrap().contains("verifies"));
    shop.workspace.close().await;
}
