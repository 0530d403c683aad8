"""What brings the jobs to AWS: building, deploying, checking and costing a stack. Nothing else imports this room."""
