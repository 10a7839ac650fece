-- Nothing new to fill: this revision only changes how sent rows are found again.
SELECT 1;
