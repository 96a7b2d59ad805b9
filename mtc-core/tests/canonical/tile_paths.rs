//! Paths of tiles.

use mtc_core::tile::TilePath;

use test_support::respelt;

#[test]
fn tile_paths_have_one_spelling() {
    for good in [
        "tile/0/x001/x234/067",
        "tile/1/000.p/112",
        "tile/entries/273",
        "tile/63/x001/000.p/1",
    ] {
        let path: TilePath = good.parse().expect("a path");
        assert_eq!(path.to_string(), good);
        let mut others = vec![
            format!("/{good}"),
            format!("{good}/"),
            format!("./{good}"),
            format!(" {good}"),
            format!("{good} "),
            format!("{good}\n"),
            format!("{good}.p"),
            format!("{good}.p/"),
            format!("{good}?"),
            format!("{good}#"),
            format!("{good}.p/256"),
            good.replacen('/', "//", 1),
            good.replacen('/', "%2F", 1),
            good.replacen("tile", "TILE", 1),
            good.replacen("tile", "tiles", 1),
            good.replacen("tile/", "tile/../tile/", 1),
            good.replacen("tile/", "tile/+", 1),
            good.replacen("tile/", "tile/0", 1),
            good.replacen("tile/", "tile/ ", 1),
            good.replace('x', "X"),
            good.replace('x', ""),
            good.replace("x0", "0"),
            good.replace(".p/", ".P/"),
            good.replace(".p/", "p/"),
            good.replace(".p/", ".p/0"),
            good.replace(".p/", ".p/+"),
            good.replace(".p/", ".p/-"),
        ];
        // A leading group of zeros, and groups of two and four digits.
        let (start, number) = good.split_at(
            good.find("/x")
                .or_else(|| good.rfind("/0").or_else(|| good.rfind("/2")))
                .expect("a number")
                + 1,
        );
        others.push(format!("{start}x000/{number}"));
        others.push(format!("{start}0{number}"));
        others.push(format!("{start}x{number}"));
        others.push(format!("{start}{}", &number[1..]));
        for other in others {
            if other != good {
                assert!(other.parse::<TilePath>().is_err(), "{other:?}");
            }
        }
    }
    for level in respelt::decimal("0").into_iter().chain([
        "64".to_owned(),
        "255".to_owned(),
        "256".to_owned(),
    ]) {
        let path = format!("tile/{level}/000");
        assert!(path.parse::<TilePath>().is_err(), "{path:?}");
    }
    for width in respelt::decimal("1").into_iter().chain([
        "0".to_owned(),
        "256".to_owned(),
        "65537".to_owned(),
    ]) {
        let path = format!("tile/0/000.p/{width}");
        assert!(path.parse::<TilePath>().is_err(), "{path:?}");
    }
}
