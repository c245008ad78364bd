using System.CommandLine;
using System.Diagnostics;
using LandmarkSharp.Training;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark tokenizer shards</c>: texts to token shards.</summary>
internal sealed class TokenShardsCommand : LandmarkCommand
{
    /// <summary>Of what is skipped so much is shown to people; programs get all that is named.</summary>
    private const int MostShown = 10;

    private readonly Option<string?> path = TokenizerCommand.PathOption();
    private readonly Option<string> folder = new("--out") { Description = "Folder to write.", Required = true, HelpName = "DIR" };
    private readonly Option<string[]> sources = new("--source")
    {
        Description = "A name, and a file or folder: *.txt (a document each), *.jsonl, *.ndjson, *.parquet, *.arrow, *.arrows, *.feather "
            + "(a document a row), each also as *.zst; once for each source.",
        Required = true,
        HelpName = "NAME=PATH",
    };
    private readonly Option<string> column = new("--column")
    {
        Description = "Field or column that holds the text.",
        DefaultValueFactory = _ => "text",
        HelpName = "NAME",
    };
    private readonly Option<bool> strict = new("--strict")
    {
        Description = "Stop at the first file or row that is no document; otherwise such are skipped and counted.",
    };

    public TokenShardsCommand()
        : base(
            "shards", "Turns texts into token shards for training.",
            "tokenizer shards --out tokens/train --source books=books/train --source math=math/train",
            "tokenizer shards --tokenizer tokenizer.model --out tokens/web --source web=crawl.jsonl.zst --column content",
            "tokenizer shards --out tokens/wiki --source wiki=wiki/parquet --strict --json")
    {
        foreach (var option in (IEnumerable<Option>)[path, folder, sources, column, strict]) Options.Add(option);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var named = Array.ConvertAll(parsed.GetValue(sources)!, source =>
            source.Split('=', 2) is [{ Length: > 0 } name, { Length: > 0 } from]
                ? (name, from)
                : throw new LandmarkException($"The source '{source}' has no name; write NAME=PATH."));
        var tokenizer = TokenizerCommand.Load(parsed, path);
        var time = Stopwatch.StartNew();
        var report = output.Progress<TokenShardsProgress, TokenShardsReport>(
            "Encoding", told => (Thousandths(told), Label(told, time)), 1000, progress => new TokenShardsBuilder(tokenizer)
            {
                Column = parsed.GetValue(column)!,
                Strict = parsed.GetValue(strict),
                Progress = progress,
            }.Build(parsed.GetValue(folder)!, named, cancel));
        var (seconds, tokens, skipped) = (time.Elapsed.TotalSeconds, report.Sources.Sum(s => s.Tokens), report.Sources.Sum(s => s.Skipped));

        output.Event(new
        {
            sources = report.Sources,
            skipped = report.Skipped.Select(s => new { s.File, s.Row, s.Reason }),
            seconds = Math.Round(seconds, 3),
            tokens_per_second = Math.Round(tokens / seconds),
        });
        output.Table(["source", "files", "documents", "tokens", "skipped"],
            report.Sources.Select(s => new[] { s.Name, $"{s.Files:N0}", $"{s.Documents:N0}", $"{s.Tokens:N0}", $"{s.Skipped:N0}" }));
        foreach (var text in report.Skipped.Take(MostShown)) output.Text($"Skipped: {text}.\n");
        if (skipped > MostShown) output.Text($"{skipped - MostShown:N0} more were skipped; --json names the first {TokenShardsReport.MostNamed}.\n");
        output.Text($"{tokens:N0} tokens in {seconds:F1} s ({tokens / seconds:N0} tokens/s)\n");
        return Tool.Success;
    }

    private static long Thousandths(TokenShardsProgress told) => told.Bytes == 0 ? 0 : 1000 * told.BytesRead / told.Bytes;

    private static string Label(TokenShardsProgress told, Stopwatch time) =>
        $"{told.FilesRead:N0} of {told.Files:N0} files, {told.Documents:N0} documents, {told.Tokens:N0} tokens, "
        + $"{told.Tokens / time.Elapsed.TotalSeconds:N0} tokens/s";
}
