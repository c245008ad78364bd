using System.Runtime.InteropServices;

namespace LandmarkSharp.Training.Tasks;

/// <summary>Text as tokens, with the kind of each.</summary>
internal sealed class Piece
{
    public List<int> Tokens { get; } = [];

    public List<TokenKind> Kinds { get; } = [];

    public int Length => Tokens.Count;

    /// <summary>Gives every token that has no kind yet this one.</summary>
    public void Mark(TokenKind kind)
    {
        var from = Kinds.Count;
        CollectionsMarshal.SetCount(Kinds, Tokens.Count);
        CollectionsMarshal.AsSpan(Kinds)[from..].Fill(kind);
    }

    public void Append(Piece other)
    {
        Tokens.AddRange(other.Tokens);
        Kinds.AddRange(other.Kinds);
    }

    /// <summary>One token of text.</summary>
    public static Piece Of(int token)
    {
        var piece = new Piece();
        piece.Tokens.Add(token);
        piece.Mark(TokenKind.Text);
        return piece;
    }

    /// <summary>Encodes text in which <see cref="Marks"/> stand around answers and echoes.</summary>
    public static Piece Encode(FragmentEncoder encoder, string marked, bool atStart = false)
    {
        var size = marked.Length;
        Span<char> text = size <= 2048 ? stackalloc char[size] : new char[size];
        Span<TokenKind> kinds = size <= 2048 ? stackalloc TokenKind[size] : new TokenKind[size];
        var (length, current) = (0, TokenKind.Text);
        foreach (var c in marked)
        {
            if (c == Marks.Answer[0]) current = TokenKind.Answer;
            else if (c == Marks.Echo[0]) current = TokenKind.Echo;
            else if (c == Marks.End[0]) current = TokenKind.Text;
            else (text[length], kinds[length++]) = (c, current);
        }

        var piece = new Piece();
        var answerOpen = false;
        ReadOnlySpan<char> rest = text[..length];
        var at = 0;
        while (!rest.IsEmpty)
        {
            size = encoder.FragmentLength(rest);
            piece.Tokens.AddRange(encoder.Fragment(rest[..size], atStart && at == 0));
            var kind = Highest(kinds.Slice(at, size));
            if (answerOpen && kind == TokenKind.Text)
            {
                // The answer ended on its last letter or digit: that it ends there is part of it.
                piece.Kinds.Add(TokenKind.Answer);
            }
            piece.Mark(kind);
            answerOpen = kind == TokenKind.Answer && char.IsLetterOrDigit(rest[size - 1]);
            rest = rest[size..];
            at += size;
        }
        return piece;
    }

    private static TokenKind Highest(ReadOnlySpan<TokenKind> kinds)
    {
        var highest = TokenKind.Text;
        foreach (var kind in kinds)
            if (kind > highest) highest = kind;
        return highest;
    }
}
