"""The contracts as tests that anyone can run on an estimator, a distribution or an objective of their own."""
