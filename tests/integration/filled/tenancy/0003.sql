-- Functions only: nothing new can be in a table.
SELECT 1;
