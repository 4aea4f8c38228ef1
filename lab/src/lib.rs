//! What theory predicts for each technique, and how a measurement is judged: pure, no I/O and no clock.
