"""An e-commerce service of a small team: customers, churn predictions, questions to Claude, and who it works with."""
