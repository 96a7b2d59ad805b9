use crate::scenario::{Connections, Scenario, ScenarioFaults};

const HEAD: &str =
    "[scenario]\nname = \"sweep\"\n[lab]\n[[variant]]\nname = \"only\"\nauth = \"mtc-landmark\"\n";
const LOAD: &str =
    "[load]\noperation = \"discover\"\nstages = [{ rate = 10, duration = \"1s\" }]\n";

fn cells(more: &str) -> Vec<Scenario> {
    Scenario::parse_cells(&format!("{HEAD}{LOAD}{more}")).unwrap()
}

fn faults(more: &str) -> Vec<String> {
    let ScenarioFaults(faults) = Scenario::parse_cells(&format!("{HEAD}{LOAD}{more}")).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

fn labels(cell: &Scenario) -> Vec<(&str, &str)> {
    let pairs = cell.cell.iter();
    pairs.map(|s| (s.key.as_str(), s.value.as_str())).collect()
}

#[test]
fn without_a_sweep_there_is_one_cell_without_settings() {
    let cells = cells("");
    assert_eq!(cells.len(), 1);
    assert_eq!(labels(&cells[0]), []);
}

#[test]
fn cells_are_every_value_with_every_other() {
    let cells =
        cells("[sweep]\nlab.preload = [0, 1_000]\n\"load.connections.reused\" = [1, 10, 100]\n");
    let read: Vec<(u64, Connections)> = cells
        .iter()
        .map(|cell| (cell.lab.preload, cell.load.connections))
        .collect();
    let expected: Vec<(u64, Connections)> = [0, 1000]
        .into_iter()
        .flat_map(|preload| [1, 10, 100].map(|uses| (preload, Connections::Reused(uses))))
        .collect();
    assert_eq!(read, expected);
    assert_eq!(
        labels(&cells[5]),
        [("lab.preload", "1_000"), ("load.connections.reused", "100")]
    );
    assert!(cells.iter().all(|cell| cell.text() == cells[0].text()));
}

#[test]
fn a_list_of_uses_is_swept_where_it_stands() {
    let load = LOAD.replace("stages", "connections = { reused = [1, 10] }\nstages");
    let cells = Scenario::parse_cells(&format!("{HEAD}{load}")).unwrap();
    let read: Vec<Connections> = cells.iter().map(|cell| cell.load.connections).collect();
    assert_eq!(read, [Connections::Reused(1), Connections::Reused(10)]);
    let first = Scenario::parse(&format!("{HEAD}{load}")).unwrap();
    assert_eq!(first, cells[0]);
}

#[test]
fn text_values_are_labelled_without_quotes() {
    let cells = cells("[sweep]\nload.arrivals = [\"constant\", \"poisson\"]\n");
    assert_eq!(labels(&cells[1]), [("load.arrivals", "poisson")]);
}

#[test]
fn a_faulty_value_is_reported_where_it_stands_and_common_faults_once() {
    let found = faults("[sweep]\nlab.preload = [0, -1]\nload.wramup = [\"1s\"]\n");
    assert_eq!(
        found,
        [
            "line 11, column 19: lab.preload must be from 0 to 10000000, is -1",
            "line 12, column 16: load.wramup is not a known key (did you mean \"warmup\"?)",
        ]
    );
}

#[test]
fn what_cannot_be_swept_is_refused() {
    for (sweep, part) in [
        (
            "lab.preload = 7",
            "sweep.lab.preload must be a list of values",
        ),
        ("lab.preload = []", "sweep.lab.preload has no values"),
        ("seed = [1, 2]", "sweep.seed is not a key that can be swept"),
        (
            "variant.leaf_key = [\"ed25519\"]",
            "sweep.variant.leaf_key is not a key that can be swept",
        ),
        (
            "load.operation.kind = [\"discover\"]",
            "needs \"operation\" to be a table",
        ),
    ] {
        let found = faults(&format!("[sweep]\n{sweep}\n"));
        assert!(found[0].contains(part), "{sweep}: {found:?}");
    }
    let many = (0..101).map(|n| n.to_string()).collect::<Vec<_>>();
    let found = faults(&format!("[sweep]\nlab.preload = [{}]\n", many.join(", ")));
    assert!(found[0].contains("makes 101 runs"), "{found:?}");
}
