-- Nothing new to fill: this revision only changes where a chunk's words are kept.
SELECT 1;
