"""What people are told, by email and SMS: choices, the queue, the log. Who is told what is decided above."""
