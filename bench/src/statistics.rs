//! Whether two sets of times differ.

/// Welch's t: how many standard errors the means lie apart.
pub(crate) fn welch(left: &[f64], right: &[f64]) -> f64 {
    let (mean_left, var_left) = moments(left);
    let (mean_right, var_right) = moments(right);
    let error = (var_left / count(left) + var_right / count(right)).sqrt();
    if error > 0.0 { (mean_left - mean_right) / error } else { 0.0 }
}

/// The t that is farthest from zero, over all times and over those below some quantiles: what other
/// programs of the machine do to a few of them hides a difference otherwise. So does dudect.
pub(crate) fn worst_t(left: &[f64], right: &[f64]) -> f64 {
    let mut all: Vec<f64> = left.iter().chain(right).copied().collect();
    all.sort_by(f64::total_cmp);
    let mut worst = welch(left, right);
    for percent in [99, 95, 90, 75, 50] {
        let bound = all[(all.len() * percent / 100).min(all.len() - 1)];
        let cropped = |times: &[f64]| -> Vec<f64> {
            times.iter().copied().filter(|time| *time <= bound).collect()
        };
        let t = welch(&cropped(left), &cropped(right));
        if t.abs() > worst.abs() {
            worst = t;
        }
    }
    worst
}

/// The statistic of Kolmogorov and Smirnov: the largest distance of the two distributions, from 0 for
/// the same to 1 for such as do not overlap.
pub(crate) fn kolmogorov_smirnov(left: &[f64], right: &[f64]) -> f64 {
    let sorted = |times: &[f64]| {
        let mut times = times.to_vec();
        times.sort_by(f64::total_cmp);
        times
    };
    let (left, right) = (sorted(left), sorted(right));
    let share = |times: &[f64], up_to: f64| {
        let below = times.partition_point(|time| *time <= up_to);
        f64::from(u32::try_from(below).unwrap_or(u32::MAX)) / count(times)
    };
    left.iter()
        .chain(&right)
        .map(|time| (share(&left, *time) - share(&right, *time)).abs())
        .fold(0.0, f64::max)
}

fn moments(times: &[f64]) -> (f64, f64) {
    let mean = times.iter().sum::<f64>() / count(times);
    let squares: f64 = times.iter().map(|time| (time - mean).powi(2)).sum();
    (mean, squares / (count(times) - 1.0).max(1.0))
}

fn count(times: &[f64]) -> f64 {
    f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX)).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_times_do_not_differ() {
        let times: Vec<f64> = (0..1_000).map(|n| f64::from(n % 17)).collect();
        assert!(welch(&times, &times).abs() < 1e-9);
        assert!(worst_t(&times, &times).abs() < 1e-9);
        assert!(kolmogorov_smirnov(&times, &times) < 1e-9);
    }

    #[test]
    fn a_difference_is_found_under_noise() {
        let noisy = |shift: f64, n: u32| {
            let spike = if n.is_multiple_of(97) { 10_000.0 } else { 0.0 };
            shift + f64::from(n * 7_919 % 31) + spike
        };
        let left: Vec<f64> = (0..5_000).map(|n| noisy(0.0, n)).collect();
        let right: Vec<f64> = (0..5_000).map(|n| noisy(2.0, n)).collect();
        assert!(worst_t(&left, &right) < -4.5);
        assert!(kolmogorov_smirnov(&left, &right) > 0.05);
        let far: Vec<f64> = left.iter().map(|time| time + 1e6).collect();
        assert!((kolmogorov_smirnov(&left, &far) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn t_is_what_the_books_say() {
        // Means 2 and 4, variances 1 and 4, three of each.
        let t = welch(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]);
        assert!((t + 2.0 / (5.0_f64 / 3.0).sqrt()).abs() < 1e-9);
    }
}
