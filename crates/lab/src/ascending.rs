//! Numbers in ascending order.

/// Collects `values` in ascending order.
///
/// Each is inserted at its place: all lists are short, and the standard library's sort would add 1 kB to the compressed
/// dashboard.
pub fn ascending(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = Vec::new();
    for value in values {
        let place = sorted.partition_point(|other| other.total_cmp(&value).is_lt());
        sorted.insert(place, value);
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_standard_sort() {
        let values = [3.0, -0.0, 1.5, f64::INFINITY, 0.0, -2.0, 1.5, f64::MIN];
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        assert_eq!(ascending(values), sorted);
        assert!(ascending([]).is_empty());
    }
}
