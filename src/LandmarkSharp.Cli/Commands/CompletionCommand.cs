using System.CommandLine;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark completion</c>: scripts that ask the tool itself what may come next.</summary>
internal sealed class CompletionCommand : LandmarkCommand
{
    private static readonly Dictionary<string, string> Scripts = new(StringComparer.Ordinal)
    {
        ["bash"] = """
            _landmark() {
              local IFS=$'\n'
              COMPREPLY=($(landmark "[suggest:$COMP_POINT]" "$COMP_LINE" 2>/dev/null))
            }
            complete -o default -F _landmark landmark
            """,
        ["zsh"] = """
            _landmark() {
              local -a found
              found=("${(@f)$(landmark "[suggest:$CURSOR]" "$BUFFER" 2>/dev/null)}")
              compadd -a found
            }
            compdef _landmark landmark
            """,
        ["fish"] = """
            complete -c landmark -a '(landmark "[suggest:"(string length (commandline -cp))"]" (commandline -cp) 2>/dev/null)'
            """,
        ["pwsh"] = """
            Register-ArgumentCompleter -Native -CommandName landmark -ScriptBlock {
              param($word, $line, $position)
              landmark "[suggest:$position]" "$line" | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
            }
            """,
    };

    private readonly Argument<string> shell = new("SHELL") { Description = "bash, zsh, fish or pwsh." };

    public CompletionCommand()
        : base(
            "completion", "Prints a script that completes commands and options in a shell.",
            "completion bash > ~/.local/share/bash-completion/completions/landmark")
    {
        shell.AcceptOnlyFromAmong([.. Scripts.Keys]);
        Arguments.Add(shell);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var script = Scripts[parsed.GetValue(shell)!];
        output.Event(new { script });
        output.Text(script + "\n");
        return Tool.Success;
    }
}
