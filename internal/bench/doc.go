// Command bench measures the program as a whole: real worker processes against an
// embedded Temporal and a sandbox in a process of its own. Every figure stands
// beside a floor that was measured, or reckoned, in the same run; the figure of
// merit is their ratio. The targets are those that the project has set itself.
package main
