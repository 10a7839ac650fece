-- Nothing new to fill: this revision only fills what the one before made.
SELECT 1;
