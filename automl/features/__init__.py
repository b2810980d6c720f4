"""Features of events, series and logs before each row's cut-off, fitted once and portable."""
