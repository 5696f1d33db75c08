//! `make soak`, short: that it measures what it says.

use tests::soak::soak;
use tests::stack::local_folder;

#[tokio::test]
async fn a_warm_process_answers_every_event_through_every_fault() {
    let folder = local_folder().unwrap().join(format!("soak-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for operation in ["stop-instance", "get-instance-resources-utilization"] {
        let report = soak(&folder, operation, 400).await.unwrap();
        assert_eq!(report.statuses.values().sum::<usize>(), 400, "{report:?}");
        assert_eq!((report.failed, report.panics), (0, 0), "{report:?}");
        for status in [200, 400, 403, 404, 500, 502] {
            assert!(report.statuses.contains_key(&status), "{status} in {report:?}");
        }
        assert!(report.faults > 20 && report.early > 1000 && report.late > 1000, "{report:?}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
