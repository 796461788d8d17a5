"""Best execution: what each conversion paid or got against what the market offered, measured after it is booked."""
